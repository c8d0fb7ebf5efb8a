package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// control calls the control route, 50 times a second, however long the answers take.
type control struct {
	ask  func() error
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	running map[time.Time]int // guarded by mu; how many began then
	samples []sample          // guarded by mu
}

type sample struct {
	at, ended time.Time
	err       error
}

// seen is what the control route saw within a time.
type seen struct {
	count            int
	median, p99, max time.Duration
	errs             []error
}

func startControl(r *running) *control {
	client := &http.Client{Transport: r.client.Transport.(*http.Transport).Clone(), Timeout: 30 * time.Second}
	c := &control{stop: make(chan struct{}), running: map[time.Time]int{}}
	c.ask = func() error {
		req, err := http.NewRequest(http.MethodGet, r.origin+"/v1/control", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+r.keys["victim"])
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err == nil && (res.StatusCode != http.StatusOK || string(body) != `{"fine":true}`) {
			err = fmt.Errorf("%d %s", res.StatusCode, body)
		}
		return err
	}
	c.done.Go(func() {
		tick := time.NewTicker(controlEvery)
		defer tick.Stop()
		defer client.CloseIdleConnections()
		var asking sync.WaitGroup
		defer asking.Wait()
		for {
			select {
			case <-c.stop:
				return
			case <-tick.C:
				asking.Go(c.once)
			}
		}
	})
	return c
}

func (c *control) once() {
	at := time.Now()
	c.mu.Lock()
	c.running[at]++
	c.mu.Unlock()
	err := c.ask()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[at]--; c.running[at] == 0 {
		delete(c.running, at)
	}
	c.samples = append(c.samples, sample{at, time.Now(), err})
}

func (c *control) end() {
	close(c.stop)
	c.done.Wait()
}

// busy reports whether a request still runs that began before to.
func (c *control) busy(to time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := range c.running {
		if at.Before(to) {
			return true
		}
	}
	return false
}

// within is what was seen by requests that ran at some time between from and to. It waits
// for those that still run.
func (c *control) within(from, to time.Time) seen {
	for time.Sleep(controlEvery); c.busy(to); time.Sleep(controlEvery) {
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var s seen
	var took []time.Duration
	for _, one := range c.samples {
		if one.ended.Before(from) || one.at.After(to) {
			continue
		}
		s.count++
		if one.err != nil {
			s.errs = append(s.errs, one.err)
		}
		took = append(took, one.ended.Sub(one.at))
	}
	if slices.Sort(took); len(took) > 0 {
		s.median, s.p99, s.max = took[len(took)/2], took[(len(took)*99-1)/100], took[len(took)-1]
	}
	return s
}
