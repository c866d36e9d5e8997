"""The training engine on the laboratory's model: the guide's recipe against the recommended one."""
