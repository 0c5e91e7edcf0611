"""What is found out about data and network once the features of every picture are known."""
