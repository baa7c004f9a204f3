-- A thousand users in turn, each a request that is written once.
local requests, last = {}, 0

function init()
  for user = 1, 1000 do
    requests[user] = wrk.format("GET", "/", {["X-User"] = "user-" .. user})
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d\n",
    summary.requests, failed, summary.duration, latency:percentile(50), latency:percentile(99)))
end
