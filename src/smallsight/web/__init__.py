"""The web app: pages for finding, seeing and describing pictures, rendered on the server."""
