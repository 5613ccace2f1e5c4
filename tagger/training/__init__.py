"""Training: recipes, the trainer, fine-tuning, hyper-parameter search and publishing."""
