// The formula, on the published Go runtime of AWS Lambda.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

// Formula is the event.
type Formula struct {
	A, B, C float64
}

func formula(_ context.Context, f Formula) (float64, error) {
	return (f.A + f.B) * f.C, nil
}

func main() {
	lambda.Start(formula)
}
