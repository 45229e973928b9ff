// Probe is the smallest thing that a pod of the tests can run; it needs nothing but itself in its image.
//
//	probe pause             waits for its end and reaps orphans: the sandbox of a pod, the first process of a room
//	probe serve             answers on :8080: GET tells the host's name, or what was last PUT at that path
//	probe get URL           writes what a URL answers
//	probe put URL TEXT      keeps a text there
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

const maxBytes = 1 << 20

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: probe pause | serve | get URL | put URL TEXT")
	}
	var err error
	switch command, rest := os.Args[1], os.Args[2:]; {
	case command == "pause":
		pause()
	case command == "serve":
		err = serve()
	case command == "get" && len(rest) == 1:
		err = ask(http.MethodGet, rest[0], "")
	case command == "put" && len(rest) == 2:
		err = ask(http.MethodPut, rest[0], rest[1])
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1:])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func pause() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}

func serve() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	var kept sync.Map
	handle := func(reply http.ResponseWriter, request *http.Request) {
		log.Print(request.Method, " ", request.URL.Path)
		if request.Method == http.MethodPut {
			body, err := io.ReadAll(http.MaxBytesReader(reply, request.Body, maxBytes))
			if err != nil {
				http.Error(reply, err.Error(), http.StatusRequestEntityTooLarge)
				return
			}
			kept.Store(request.URL.Path, string(body))
			return
		}
		if text, found := kept.Load(request.URL.Path); found {
			reply.Header().Set("Content-Type", "application/json")
			fmt.Fprint(reply, text)
			return
		}
		fmt.Fprintln(reply, name)
	}
	server := http.Server{Addr: ":8080", Handler: http.HandlerFunc(handle), ReadTimeout: 10 * time.Second}
	go func() {
		pause()
		server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func ask(method, url, text string) error {
	client := http.Client{Timeout: 5 * time.Second}
	request, err := http.NewRequest(method, url, strings.NewReader(text))
	if err != nil {
		return err
	}
	reply, err := client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if _, err := io.Copy(os.Stdout, io.LimitReader(reply.Body, maxBytes)); err != nil {
		return err
	}
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, url, reply.Status)
	}
	return nil
}
