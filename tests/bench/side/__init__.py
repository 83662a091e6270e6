"""What the commands of tests/bench share: servers side by side, their load, and what is told of it."""
