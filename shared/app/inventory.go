package app

import (
	"log/slog"

	"rekey/shared/config"
	"rekey/shared/connection"
	"rekey/shared/graph"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/scan"
	"rekey/shared/tablestore"
	"rekey/shared/telemetry"
)

// scanner scans tenants as connections.
func scanner(c config.Config, store *tablestore.Store, directory *graph.Directory, actors *connection.Actors,
	connections *connection.Service, measure *telemetry.Telemetry, log *slog.Logger,
) *scan.Scanner {
	return &scan.Scanner{
		Store: store.Inventory(), Directory: directory, Actors: actors, Connections: connections,
		Managers: &connection.Managers{Records: store, Deployment: c.Deployment, Log: log}, Observer: measure.Scans(),
		Rules: c.Rules, Deployment: c.Deployment, Log: log,
	}
}

// inventories serves what scans has found.
func inventories(c config.Config, store *tablestore.Store, scans *scan.Scanner, log *slog.Logger) *catalog.Catalog {
	return &catalog.Catalog{
		Store: store.Inventory(), Managers: &connection.Managers{Records: store, Deployment: c.Deployment, Log: log}, Scanner: scans,
		Deployment: c.Deployment, Log: log,
	}
}
