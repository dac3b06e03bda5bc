package graph

import "rekey/shared/inventory"

// ReadPage reads an answer of a list, and Continue the cursor of its next page.
func ReadPage(list inventory.List, answer []byte, host string) (inventory.Page, error) {
	return listings[list].page(answer, host)
}

func Continue(list inventory.List, cursor string) (query string, ok bool) {
	return listings[list].following(cursor)
}

// Careful is what Pace makes of a budget that Graph documents.
func Careful(b Budget) Budget { return b.careful() }
