"""What a release needs beside the package: locked requirements, an audit, a bill of materials."""
