// An OCI registry in memory (go-containerregistry's own) that asks whoever reads a private/ repository for a password.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	keeps := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	password := os.Getenv("PASSWORD")
	guarded := http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		user, given, _ := request.BasicAuth()
		if strings.HasPrefix(request.URL.Path, "/v2/private/") && (user != "me" || given != password) {
			answer.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(answer, `{"errors": [{"code": "UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return
		}
		keeps.ServeHTTP(answer, request)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], guarded))
}
