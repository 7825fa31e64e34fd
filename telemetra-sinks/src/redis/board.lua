-- Changes a leaderboard, unless something newer is there. KEYS: the leaderboard, its as_of. ARGV: time,
-- greatest time that may be overwritten, milliseconds to live, the same of as_of, 1 if it is written anew,
-- how many arguments follow that are added (score, member, …), these, then the members that leave. Returns
-- the time that was there.
local stored = redis.call('GET', KEYS[2])
if stored and tonumber(stored) > tonumber(ARGV[2]) then return stored end
redis.call('ZCARD', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4])
if ARGV[5] == '1' then redis.call('DEL', KEYS[1]) end
local added = 6 + tonumber(ARGV[6])
-- A call takes some thousand arguments at most.
for at = 7, added, 1000 do
  redis.call('ZADD', KEYS[1], unpack(ARGV, at, math.min(at + 999, added)))
end
for at = added + 1, #ARGV, 1000 do
  redis.call('ZREM', KEYS[1], unpack(ARGV, at, math.min(at + 999, #ARGV)))
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return stored
