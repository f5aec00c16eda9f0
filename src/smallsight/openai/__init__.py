"""OpenAI's protocol: chat completions, responses and the list of models. Knows no other protocol."""
