-- Send the requests of a file, one after another from a random place, and print one line of JSON.
-- A line of the file: method, path, Authorization and body, separated by tabs; the last two may be empty.
-- With a body that has BENCH_ROTATED in its answer (a refresh token), each answer makes a new request.
local requests, position = {}, 0
local field = os.getenv("BENCH_ROTATED")

function headers_of(authorization, body)
  local headers = {}
  if authorization ~= "" then headers["Authorization"] = authorization end
  if body ~= "" then
    local json = body:sub(1, 1) == "{"
    headers["Content-Type"] = json and "application/json" or "application/x-www-form-urlencoded"
    headers["X-Forwarded-For"] = string.format("10.%d.%d.%d", math.random(255), math.random(255), math.random(255))
  end
  return headers
end

function add(method, path, authorization, body)
  local sent = body ~= "" and body or nil
  requests[#requests + 1] = wrk.format(method, path, headers_of(authorization, body), sent)
end

function init()
  math.randomseed(os.time())
  for line in io.lines(os.getenv("BENCH_REQUESTS")) do
    add(line:match("^(.-)\t(.-)\t(.-)\t(.*)$"))
  end
  if not field then position = math.random(#requests) end
end

function request()
  position = field and position + 1 or position % #requests + 1
  return requests[math.min(position, #requests)]
end

if field then
  function response(_, _, body)
    local token = body:match('"' .. field .. '": *"([^"]+)"')
    if token then
      add("POST", os.getenv("BENCH_PATH"), "", string.format('{"%s":"%s"}', field, token))
    end
  end
end

if os.getenv("BENCH_PAUSE_MS") then
  function delay() return tonumber(os.getenv("BENCH_PAUSE_MS")) end
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '\nBENCH {"requests":%d,"microseconds":%d,"status":%d,"socket":%d,"p50":%.1f,"p99":%.1f}',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
