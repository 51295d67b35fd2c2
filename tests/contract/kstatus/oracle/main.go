// kstatus' verdict on each object of a stream of JSON: one line of JSON for each.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func judge(raw []byte) (verdict, error) {
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(raw); err != nil {
		return verdict{}, err
	}
	result, err := status.Compute(&object)
	if err != nil { // what pollers make of an error
		return verdict{status.UnknownStatus.String(), err.Error()}, nil
	}
	return verdict{result.Status.String(), result.Message}, nil
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var raw json.RawMessage
		if err := in.Decode(&raw); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		said, err := judge(raw)
		if err != nil {
			log.Fatal(err)
		}
		if err := out.Encode(said); err != nil {
			log.Fatal(err)
		}
	}
}
