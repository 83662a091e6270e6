// Package driver is what the Go drivers share: arguments in, one JSON line out.
//
// usage: X402_PRIVATE_KEY=0x… CLIENT URL METHOD BODY-FILE CONTENT-TYPE OUT-FILE
package driver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	x402 "github.com/x402-foundation/x402/go"
	x402http "github.com/x402-foundation/x402/go/http"
)

// Seed is the wallet's key.
func Seed() string { return strings.TrimPrefix(os.Getenv("X402_PRIVATE_KEY"), "0x") }

// IsFirst says whether the first protocol is to be spoken.
func IsFirst() bool { return os.Getenv("X402_VERSION") == "1" }

// Main pays for one answer with the client that register makes ready, and prints what happened.
func Main(name string, register func(*x402.X402Client) error) {
	result := map[string]any{
		"client": name, "status": 0, "paid": false,
		"transaction": nil, "network": nil, "payer": nil,
	}
	if err := pay(register, result); err != nil {
		result["error"] = fmt.Sprint(err)
	}
	line, err := json.Marshal(result)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func pay(register func(*x402.X402Client) error, result map[string]any) error {
	url, method, bodyFile, contentType, outFile :=
		os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	client := x402.Newx402Client()
	if err := register(client); err != nil {
		return err
	}
	asks := &http.Client{Timeout: timeout}
	receiptHeader := "PAYMENT-RESPONSE"
	if IsFirst() {
		asks.Transport = onlyFirst{}
		receiptHeader = "X-PAYMENT-RESPONSE"
	}
	pays := x402http.WrapHTTPClientWithPayment(asks, x402http.Newx402HTTPClient(client))
	sent, err := os.ReadFile(bodyFile)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(method, url, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	answer, err := pays.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if err := os.WriteFile(outFile, body, 0o600); err != nil {
		return err
	}
	result["status"] = answer.StatusCode
	result["contentType"] = answer.Header.Get("Content-Type")
	result["bodyBytes"] = len(body)
	if answer.StatusCode >= 400 {
		result["error"] = string(body[:min(len(body), 500)])
	}
	told := answer.Header.Get(receiptHeader)
	if told == "" {
		return nil
	}
	decoded, err := base64.StdEncoding.DecodeString(told)
	if err != nil {
		return err
	}
	var receipt x402.SettleResponse
	if err := json.Unmarshal(decoded, &receipt); err != nil {
		return err
	}
	result["paid"], result["transaction"] = receipt.Success, receipt.Transaction
	result["network"], result["payer"] = receipt.Network, receipt.Payer
	return nil
}

// onlyFirst shows the client what a server of the first protocol would have answered.
type onlyFirst struct{}

func (onlyFirst) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err == nil {
		answer.Header.Del("PAYMENT-REQUIRED")
	}
	return answer, err
}

const timeout = 60 * time.Second
