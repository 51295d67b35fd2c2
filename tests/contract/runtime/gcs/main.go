// Google Cloud Storage in memory (fsouza/fake-gcs-server), which lets only who has a token read the bucket `private`.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

func main() {
	address := "127.0.0.1:" + os.Args[1]
	store, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		NoListener: true,
		PublicHost: address, // object_store asks by the XML API, which is known by its host
		Writer:     io.Discard,
	})
	if err != nil {
		log.Fatal(err)
	}
	keeps := store.HTTPHandler()
	guarded := http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		bucket, _, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/"), "/")
		if bucket == "private" && request.Header.Get("Authorization") == "" {
			http.Error(answer, "<Error><Code>AccessDenied</Code></Error>", http.StatusForbidden)
			return
		}
		if bucket == "none" { // of which the fake says 500, and Google 404
			http.Error(answer, "<Error><Code>NoSuchBucket</Code></Error>", http.StatusNotFound)
			return
		}
		keeps.ServeHTTP(answer, request)
	})
	log.Fatal(http.ListenAndServe(address, guarded))
}
