"""How the gateway talks to engines and keeps what they say."""
