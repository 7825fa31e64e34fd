-- Writes what is current of one stream, unless something newer is there, and publishes what changed.
-- KEYS: as_of, latest, moments.
-- ARGV: time, greatest time that may be overwritten, milliseconds to live, the same of as_of, then for latest and for moments
-- how many arguments follow (0 deletes the key, -1 leaves it) and these, then the channel and the messages.
-- Returns the time that was there.
local stored = redis.call('GET', KEYS[1])
if stored and tonumber(stored) > tonumber(ARGV[2]) then return stored end
-- A key of somebody else's is an error before anything is changed.
redis.call('HLEN', KEYS[2])
redis.call('LLEN', KEYS[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
local at = 5
for i, command in ipairs({ 'HSET', 'RPUSH' }) do
  local key, count = KEYS[i + 1], tonumber(ARGV[at])
  if count >= 0 then redis.call('DEL', key) end
  if count > 0 then
    redis.call(command, key, unpack(ARGV, at + 1, at + count))
    redis.call('PEXPIRE', key, ARGV[3])
    at = at + count
  end
  at = at + 1
end
for i = at + 1, #ARGV do redis.call('PUBLISH', ARGV[at], ARGV[i]) end
return stored
