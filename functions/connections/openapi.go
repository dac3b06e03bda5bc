package connections

import (
	_ "embed"
	"encoding/json"
)

// Document is the OpenAPI 3.0 description of the API.
//
//go:embed openapi.json
var Document json.RawMessage

func (h *Handler) openAPI(*request) (any, error) { return Document, nil }
