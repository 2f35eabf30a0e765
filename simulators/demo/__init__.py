"""The demonstration: the whole product on one machine, six simulated chairs, and a story that can fail.

stack   starts broker, gateway, web and boards, and ends them
watch   a screen that sees every message, and a member of staff who acts
story   what happens to whom, and what must have been seen
run     the command
"""
