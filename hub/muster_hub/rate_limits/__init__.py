"""How much a party may cause, in a second and at once, and what each request costs."""
