"""What is learned for maps that nobody has seen: pictures of maps, local links, value iteration."""
