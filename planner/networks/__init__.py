"""What networks are made of here: one perceptron, and features of goals."""
