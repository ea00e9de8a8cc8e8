"""How the NodeODM API looks on the wire: answers, bodies, ranges and CORS."""
