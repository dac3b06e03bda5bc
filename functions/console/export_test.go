package console

// Fields are the labels of the forms' fields by what the API calls them.
func Fields() map[string]string {
	all := map[string]string{}
	for _, f := range fields {
		all[f.api] = f.label
	}
	return all
}

// The words of pages for what the API says.
var (
	Said       = said
	EventWords = eventWords
	Triggers   = triggers
	ListWords  = listWords
	ScanWords  = scanWords
	Changes    = changeWords
)
