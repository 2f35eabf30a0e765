"""Protocol-level load: many virtual boards in one process, each with an MQTT connection of its own.

outbox, cuff, patient, board   one virtual board: pure, time is an argument
connection                     an MQTT 3.1.1 client small enough that one core drives a thousand
ward                           the boards on their connections, and when each speaks
screen                         what a display sees of them, and a member of staff who begins the sessions
ledger, report                 what was sent, what came back, how late
stack, site                    a broker and a gateway of one's own, and the configuration for them
run                            the command

No firmware runs here: `chairside sim` and `chairside demo` run it. A virtual board has no chips, no buttons and no
limits of its own to judge by, and does not obey `reboot`; all else of the contract it speaks.
"""
