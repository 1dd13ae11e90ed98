"""What distances and losses do, shown on boxes."""
