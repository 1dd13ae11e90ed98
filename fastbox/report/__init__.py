"""Results for people: pages, figures and terminal output."""
