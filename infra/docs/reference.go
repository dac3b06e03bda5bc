package docs

import (
	"bytes"
	_ "embed"
	"fmt"

	"go.yaml.in/yaml/v3"
)

//go:embed commands.yaml
var commandsYAML []byte

//go:embed names.yaml
var namesYAML []byte

// Load returns the reference that this package keeps, for the settings of the program.
func Load(program []string) (Reference, error) {
	reference := Reference{Program: program}
	var names struct{ Settings, Files []Name }
	if err := strict(commandsYAML, &reference.Commands); err != nil {
		return reference, fmt.Errorf("reading commands.yaml: %w", err)
	}
	if err := strict(namesYAML, &names); err != nil {
		return reference, fmt.Errorf("reading names.yaml: %w", err)
	}
	reference.Settings, reference.Files = names.Settings, names.Files
	return reference, nil
}

// strict refuses keys that there are not.
func strict(data []byte, into any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	return decoder.Decode(into)
}
