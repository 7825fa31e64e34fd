-- Writes what is current of one subject, unless something newer is there, and publishes what changed. KEYS:
-- as_of, then those to write. ARGV: time, greatest time that may be overwritten, milliseconds to live of
-- as_of; then for each key to write HSET or RPUSH, milliseconds to live, how many arguments follow (0 deletes
-- the key) and these; then the channel and the messages. What lives for 0 milliseconds does not expire.
-- Returns the time that was there.
local stored = redis.call('GET', KEYS[1])
if stored and tonumber(stored) > tonumber(ARGV[2]) then return stored end
-- A key of somebody else's is an error before anything is changed.
local at = 4
for i = 2, #KEYS do
  redis.call(ARGV[at] == 'HSET' and 'HLEN' or 'LLEN', KEYS[i])
  at = at + 3 + tonumber(ARGV[at + 2])
end
if ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
end
at = 4
for i = 2, #KEYS do
  local count = tonumber(ARGV[at + 2])
  redis.call('DEL', KEYS[i])
  if count > 0 then
    redis.call(ARGV[at], KEYS[i], unpack(ARGV, at + 3, at + 2 + count))
    if ARGV[at + 1] ~= '0' then redis.call('PEXPIRE', KEYS[i], ARGV[at + 1]) end
  end
  at = at + 3 + count
end
for i = at + 1, #ARGV do redis.call('PUBLISH', ARGV[at], ARGV[i]) end
return stored
