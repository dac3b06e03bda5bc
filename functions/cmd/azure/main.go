// Command handler is Rekey as an Azure Functions custom handler.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules are in IANA zones, and the host may have none

	"rekey/functions"
	"rekey/functions/rotatedue"
	"rekey/shared/app"
	"rekey/shared/config"
	"rekey/shared/host"
	"rekey/shared/telemetry"
)

func main() {
	// The host takes what is on stderr for errors, so everything goes to stdout.
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log); err != nil {
		log.Error("handler stopped", "reason", err.Error())
		os.Exit(1)
	}
	// The host restarts a handler that exits with anything but 0. Only a signal
	// ends it without an error, and then the host is stopping as well.
}

// run reads the settings, puts Rekey together and serves until ctx ends.
func run(ctx context.Context, log *slog.Logger) error {
	port, err := host.Port(os.LookupEnv)
	if err != nil {
		return err
	}
	settings, err := config.Load(os.LookupEnv)
	if err != nil {
		return errors.Join(errors.New("the settings have mistakes"), err)
	}
	for _, advice := range settings.Unconfigured() {
		log.Warn("not configured", "advice", advice)
	}
	a, err := app.New(settings, log)
	if err != nil {
		return err
	}
	defer a.Telemetry.Shutdown(ctx)
	listener, err := host.Listen(ctx, port)
	if err != nil {
		return fmt.Errorf("listening for the host: %w", err)
	}
	timer := a.Telemetry.Handler(telemetry.Timer, rotatedue.Handler(a.Rotator, a.Notices, log))
	rest := functions.HTTP(a, &host.Once{})
	log.Info("handler ready", "version", app.Version, "deployment", settings.Deployment)
	return host.Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/"+rotatedue.Name {
			timer.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	}), log)
}
