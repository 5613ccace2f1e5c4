"""Read and write objects of buckets, and read files of web servers, by their addresses."""
