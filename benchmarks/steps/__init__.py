"""Steps of the training engine on random weights: their memory against the plan, their speed against PEFT."""
