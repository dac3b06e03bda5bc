// Command bootstrap is Rekey as an AWS Lambda function on the runtime
// provided.al2023. One function takes both kinds of events: requests, from a Function
// URL or an HTTP API, and the schedule's.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	_ "time/tzdata" // schedules are in IANA zones, and the runtime may have none

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"rekey/functions"
	"rekey/functions/rotatedue"
	"rekey/shared/app"
	"rekey/shared/config"
	"rekey/shared/host"
	"rekey/shared/telemetry"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	handle, err := newFunction(log)
	if err != nil {
		// Lambda shows the end of the log next to "Runtime.ExitError".
		log.Error("function not started", "reason", err.Error())
		os.Exit(1)
	}
	lambda.Start(handle) // never returns
}

// newFunction reads the settings and puts Rekey together. Lambda sends no request
// twice, so there is nothing to recognise.
func newFunction(log *slog.Logger) (any, error) {
	settings, err := config.Load(os.LookupEnv)
	if err != nil {
		return nil, errors.Join(errors.New("the settings have mistakes"), err)
	}
	for _, advice := range settings.Unconfigured() {
		log.Warn("not configured", "advice", advice)
	}
	a, err := app.New(settings, log)
	if err != nil {
		return nil, err
	}
	tick := func(ctx context.Context) (any, error) {
		var t host.Timer
		if lc, ok := lambdacontext.FromContext(ctx); ok {
			t.InvocationID = lc.AwsRequestID
		}
		ctx, end := a.Telemetry.Invocation(ctx, telemetry.Timer, rotatedue.Name, t.InvocationID)
		swept, err := rotatedue.Tick(ctx, a.Rotator, a.Notices, t, log)
		end(err)
		return swept, err
	}
	handle := host.LambdaHandler(functions.HTTP(a, nil), tick, log)
	log.Info("function ready", "version", app.Version, "deployment", settings.Deployment)
	return func(ctx context.Context, event json.RawMessage) (any, error) {
		defer a.Telemetry.Flush(ctx) // the process is frozen once it has answered
		return handle(ctx, event)
	}, nil
}
