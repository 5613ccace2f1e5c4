"""The review page and the service as ASGI applications: access, pages, templates, the REST API. They own no data."""
