-- A bucket that gateways share: the decisions of limit/table.rs, at one place and all at once.
--   KEYS[1]  the bucket
--   ARGV     ns that a request takes; how many requests it holds; `take` or `give`
-- Before this stand `now`, in µs, and `spare`, the ms that a key outlives its bucket.
-- Kept is "MOMENT OWED": at that moment, in µs, it was so many ns from being full. A key that is
-- not there is a full bucket. All numbers are whole and below 2^53, so nothing is rounded.
local takes, holds = tonumber(ARGV[1]), tonumber(ARGV[2])
local owed = 0
local kept = redis.call('GET', KEYS[1])
if kept then
  local moment, was = string.match(kept, '^(%d+) (%d+)$')
  local passed = math.max(0, now - tonumber(moment))
  owed = math.max(0, tonumber(was) - passed * 1000)
end
if ARGV[3] == 'give' then
  owed = math.max(0, owed - takes)
else
  local most = takes * (holds - 1)
  if owed > most then return {0, owed - most} end
  owed = owed + takes
end
if owed == 0 then
  redis.call('DEL', KEYS[1])
else
  local life = math.ceil(owed / 1000000) + spare
  redis.call('SET', KEYS[1], string.format('%.0f %.0f', now, owed), 'PX', life)
end
return {1, math.floor((takes * holds - owed) / takes)}
