"""Steps of ekle's training on random weights: their memory against the plan, their speed against PEFT."""
