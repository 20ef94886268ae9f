-- Posts the bodies of a file (one a line) in turn where it is given one, and reports in JSON.
function init(args)
  local path = args[1]
  if path == nil then return end
  local requests = {}
  for body in io.lines(path) do
    requests[#requests + 1] = wrk.format('POST', nil, nil, body)
  end
  local at = 0
  function request()
    at = at % #requests + 1
    return requests[at]
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '\n{"requests":%d,"seconds":%f,"p99Ms":%f,"refused":%d,"socketErrors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e3, errors.status, failed))
end
