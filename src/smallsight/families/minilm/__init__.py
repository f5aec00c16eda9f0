"""all-MiniLM-L6-v2 and other BERT encoders that turn a text into one vector by averaging its tokens."""
