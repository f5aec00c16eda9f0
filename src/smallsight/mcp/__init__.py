"""The Model Context Protocol: agents search the library, look at its pictures and ask about them."""
