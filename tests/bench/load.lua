-- What wrk runs: `wrk -s load.lua URL` asks again and again, `wrk -s load.lua URL -- FILE` sends the
-- payments of FILE, one a line, each one once. Prints one line at the end:
-- COUNTS requests wrong-answers microseconds p50-ms p99-ms

local payments

local function paid()
  local payment = payments and payments()
  if not payment then
    payments = nil
    wrk.thread:stop()
    return wrk.format("GET")
  end
  return wrk.format("GET", nil, { ["PAYMENT-SIGNATURE"] = payment })
end

function init(args)
  if args[1] then
    payments = io.lines(args[1])
    request = paid
  end
end

function done(summary, latency)
  io.write(string.format("COUNTS %d %d %d %.3f %.3f\n", summary.requests, summary.errors.status,
    summary.duration, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
