// What the event says to do, on the published Go runtime of AWS Lambda.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

var count int

// Fails after its first bytes.
type failing struct{ begun bool }

func (f *failing) Read(into []byte) (int, error) {
	if f.begun {
		return 0, errors.New("midway")
	}
	f.begun = true
	return copy(into, "some"), nil
}

func handle(ctx context.Context, event map[string]any) (any, error) {
	count++
	switch event["do"] {
	case "fail":
		return nil, errors.New("boom!")
	case "exit":
		os.Exit(1)
	case "hang":
		time.Sleep(time.Minute)
	case "large":
		return strings.Repeat("x", 6291555), nil
	case "break off":
		return io.Reader(&failing{}), nil
	}
	context, _ := lambdacontext.FromContext(ctx)
	return map[string]any{"got": event, "rid": context.AwsRequestID, "count": count}, nil
}

func main() {
	// By an extension of its own process.
	lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() { fmt.Println("asked to end") }))
}
