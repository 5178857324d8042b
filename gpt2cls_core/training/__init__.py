"""From raw text to a measured classifier: pretrain, finetune, ship, evaluate."""
