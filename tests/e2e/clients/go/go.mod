module tollgate/tests/clients

go 1.24.0

require github.com/x402-foundation/x402/go v0.0.0-20260421184015-dd927a26cfef
