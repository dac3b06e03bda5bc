package graph

// Careful is what Pace makes of a budget that Graph documents.
func Careful(b Budget) Budget { return b.careful() }
