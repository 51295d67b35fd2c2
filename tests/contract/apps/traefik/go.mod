module tandem.dev/tests/gateway

go 1.26.0

require (
	github.com/go-acme/lego/v5 v5.4.1
	github.com/traefik/traefik/v3 v3.7.13
)

exclude github.com/tencentcloud/tencentcloud-sdk-go v3.0.83+incompatible

// As Traefik's own go.mod has it.
replace github.com/gorilla/mux => github.com/containous/mux v0.0.0-20250523120546-41b6ec3aed59

// What stands for these is laid out beside this folder by ../gateway.py, which says why.
replace (
	github.com/abbot/go-http-auth => ../auth
	github.com/go-acme/lego/v5 => ../lego
	github.com/traefik/traefik/dynamic/ext => ../ext
)
