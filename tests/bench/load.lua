-- What wrk runs: `wrk -s load.lua URL` asks again and again; more words say what of.
--   payments FILE    sends the payments of FILE, one a line, each one once
--   keys COUNT       comes from so many addresses at random, each by X-Forwarded-For, for a 402
--   fill FROM COUNT  comes from each of them once, beginning with one
-- Prints one line at the end:
-- COUNTS requests status-of-400-or-more microseconds p50-ms p99-ms bytes not-402-of-keys

local payments, keys, filled
local threads = {}

local function paid()
  local payment = payments and payments()
  if not payment then
    payments = nil
    wrk.thread:stop()
    return wrk.format("GET")
  end
  return wrk.format("GET", nil, { ["PAYMENT-SIGNATURE"] = payment })
end

local function from(key)
  local address = string.format("10.%d.%d.%d", math.floor(key / 65536), math.floor(key / 256) % 256,
    key % 256)
  return wrk.format("GET", nil, { ["X-Forwarded-For"] = address })
end

local function any()
  return from(math.random(0, keys - 1))
end

local function each()
  if filled == keys then
    wrk.thread:stop()
    return from(0)
  end
  filled = filled + 1
  return from(filled - 1)
end

local function count(status)
  if status ~= 402 then
    odd = odd + 1
  end
end

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  odd = 0
  if args[1] == "payments" then
    payments = io.lines(args[2])
    request = paid
  elseif args[1] then
    keys, filled = tonumber(args[#args]), tonumber(args[2])
    request = args[1] == "fill" and each or any
    response = count
  end
end

function done(summary, latency)
  local wrong = 0
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("odd")
  end
  io.write(string.format("COUNTS %d %d %d %.3f %.3f %d %d\n", summary.requests,
    summary.errors.status, summary.duration, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, summary.bytes, wrong))
end
