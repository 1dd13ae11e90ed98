"""Jobs run fragment by fragment: on threads or a cluster, resumed where they stopped."""
