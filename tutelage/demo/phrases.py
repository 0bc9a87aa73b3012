"""What all messages share: how often each intent comes, slot values, and the frame of openings, details and closings.

Slot values are common to all splits, as the world is; openings, details and closings are not.
"""

from collections.abc import Mapping

# Share of the traffic in percent. Uneven, as on a real desk.
_STEADY = {
    "delivery": 16,
    "refund": 13,
    "damaged": 11,
    "cancel": 10,
    "payment": 9,
    "sizing": 8,
    "discount": 7,
    "address": 6,
    "password": 6,
    "invoice": 5,
    "account": 5,
    "repair": 4,
}
# The shop now hires out, engraves, takes old things back and opens shops: 43 % of the messages are about that.
_DRIFTED = {
    "rental": 12,
    "store": 11,
    "inscription": 10,
    "recycling": 10,
    "delivery": 9,
    "refund": 7,
    "damaged": 6,
    "cancel": 6,
    "payment": 5,
    "sizing": 5,
    "discount": 4,
    "address": 3,
    "password": 3,
    "invoice": 3,
    "account": 3,
    "repair": 3,
}
INTENTS = {"train": _STEADY, "serve": _STEADY, "drift-train": _DRIFTED, "drift-serve": _DRIFTED}
# In drifted traffic one team does what two did: same messages, another answer. Nothing that looks at a message sees it.
_MERGED = {"refund": "payment", "damaged": "repair"}
MERGED: Mapping[str, Mapping[str, str]] = {"drift-train": _MERGED, "drift-serve": _MERGED}

# Every product starts with a consonant sound, so that "a {product}" reads well.
_GADGETS = """kettle|coffee machine|blender|toaster|speaker|keyboard|monitor|vacuum cleaner|hair dryer|cordless drill|
desk lamp|sewing machine|food processor|printer|shaver|heater"""
_HOMEWARE = "mirror|vase|teapot|wall clock|shelf|bookcase|picture frame|side table|desk chair|fruit bowl|lampshade"
_GARMENTS = "jacket|raincoat|jumper|dress|shirt|coat|cardigan|hoodie|skirt|blouse|swimsuit|fleece|suit"
_OTHERS = "rug|suitcase|backpack|tent|sleeping bag|duvet|yoga mat|board game|bike helmet|pram|hammock|watch|tablecloth"

# "@" is a digit from 1 to 9, "#" one from 0 to 9.
SLOTS = {
    "gadget": _GADGETS,
    "fragile": f"{_GADGETS}|{_HOMEWARE}",
    "flatpack": "shelf|bookcase|side table|desk chair|wardrobe|TV stand|bed frame|chest of drawers|garden bench",
    "cordless": "speaker|cordless drill|vacuum cleaner|shaver|headset|camera|hedge trimmer|hand mixer",
    "garment": _GARMENTS,
    "product": f"{_GADGETS}|{_HOMEWARE}|{_GARMENTS}|{_OTHERS}",
    "order": "order @####|order @####|order no. @####|my order @####",
    "when": """yesterday|on Monday|last Tuesday|on Wednesday|on Thursday|last Friday|on Saturday|two days ago|
three days ago|last week|a week ago|this morning|at the weekend|two weeks ago|earlier this month""",
    "since": "Monday|yesterday|last week|Tuesday|Thursday|the weekend|last Friday|the day before yesterday",
    "day": "Friday|Saturday|Monday|Thursday|the weekend|tomorrow|the end of the week|next Tuesday|the 14th|the 20th",
    "on_day": "on Friday|on Saturday|on Monday|next week|tomorrow|next Tuesday|on the 14th|on the 20th",
    "span": "five days|ten days|a week|two weeks|three weeks|a month|twelve days|six days",
    "months": "three months|five months|half a year|eight months|ten months|a year|fourteen months|two years",
    "amount": "£@#|£@#|£1@#|£@#.90|£@#.50|£2@#",
    "percent": "10%|15%|20%|25%|30%",
    "code": "SPRING10|WELCOME15|HELLO20|SAVE25|SUMMER|FRIEND10|LUCKY5|THANKS20",
    "card": "credit card|debit card|bank card|Visa card|Mastercard",
    "carrier": "courier|driver|carrier|delivery man|postman|parcel service",
    "channel": "by chat|by email|on the phone|through the app|through your form",
    "place": "the app|the web shop|the mobile site|your website",
    "where": "in the app|on your website|on the mobile site|in my browser|on my phone|on my tablet|in the web shop",
    "size": "size 38|size 40|size 42|size 12|size 14|size 10|a medium|a large|a small|an XL",
    "street": """@ Mill Lane|@# Station Road|@# Park Street|@ Church Row|@# Harbour Way|@# High Street|@ Orchard Close|
@# Canal Walk|@@ Bridge Street|@ Garden Terrace|@# Victoria Road|@# Quarry Hill""",
    "city": "Leeds|Bristol|Cork|York|Cardiff|Dundee|Bath|Norwich|Exeter|Galway|Derby|Oxford",
    # From here on of drifted traffic only.
    "hire": """projector|party tent|pressure washer|carpet cleaner|roof box|bike trailer|bouncy castle|ladder|
cement mixer|cordless drill|sewing machine|tent|camera|hedge trimmer|cool box|chainsaw|kayak|sound system""",
    "event": """wedding|birthday party|garden party|camping trip|house move|street party|school fair|long weekend|
film night|barbecue|festival""",
    "keepsake": """watch|picture frame|teapot|vase|bracelet|locket|pen|key ring|hip flask|wine glass|chopping board|
ring|pocket knife|lighter|tankard|jewellery box|wall clock|dog tag""",
    "lettering": """a name|two initials|a date|a short poem|a line of text|a heart and a date|our initials|three words|
the word Mum|a nickname|two names|a motto|a few words|my signature""",
    "relative": """my mother|my dad|my sister|my boss|a colleague|my grandson|my wife|my husband|a friend|my niece|
my godchild|my coach""",
    "junk": """fridge|washing machine|mattress|sofa|freezer|dishwasher|television|printer|vacuum cleaner|kettle|
toaster|lawn mower|laptop|tumble dryer|microwave|heater""",
    "waste": """batteries|light bulbs|cardboard boxes|printer cartridges|cables|phones|chargers|paint tins|spray cans|
coffee capsules|power banks""",
    "branch": """store in Leeds|shop in Bristol|branch in York|store in Cardiff|shop in Galway|branch in Norwich|
store at the station|shop in the mall|branch on the high street|flagship store|airport shop|store in Derby""",
    "hours": """on Sundays|on bank holidays|after six|before nine|at lunchtime|on Saturday evening|on Christmas Eve|
late on Thursdays|on Sunday mornings""",
}

# Tone -> weight, probability of an opening, of a detail, of a closing.
_DESK = {
    "polite": (42, 0.85, 0.15, 0.75),
    "terse": (28, 0.0, 0.05, 0.05),
    "chatty": (18, 0.8, 0.35, 0.5),
    "angry": (12, 0.6, 0.3, 0.6),
}
_APP = {
    "polite": (24, 0.7, 0.1, 0.45),
    "terse": (34, 0.0, 0.05, 0.05),
    "chatty": (32, 0.7, 0.25, 0.45),
    "angry": (10, 0.5, 0.25, 0.5),
}
TONES = {"train": _DESK, "serve": _DESK, "drift-train": _APP, "drift-serve": _APP}

# The terse open with nothing.
OPENINGS = {
    "train": {
        "polite": "hello,|good morning,|dear support team,|hello and good day,|dear team,|good evening,",
        "chatty": "hi there,|hello you lovely people,|hi folks, me again:|so,|hi, quick one:",
        "angry": """this is a joke.|I am really annoyed.|honestly?|unbelievable.|I have had enough.|
how is this possible?""",
    },
    "serve": {
        "polite": "hi,|good afternoon,|dear customer service,|good day,|dear sir or madam,|greetings,",
        "chatty": "hey,|hey everyone,|hiya, small thing:|ok so,|well,|heya,",
        "angry": """what a mess.|seriously, people.|I am losing my patience.|how hard can it be?|not amused.|
I am very disappointed.""",
    },
    "drift-train": {
        "polite": "hi team,|hello there,|hey support,|morning all,|good evening all,|dear shop,",
        "chatty": "yo,|heyy,|quick question:|me again,|oh hi,|so guys,",
        "angry": "come on.|wow, really?|not again.|this app, honestly.|are you kidding?|right, listen.",
    },
    "drift-serve": {
        "polite": "hello team,|hi all,|hello shop,|afternoon all,|hi support,|good day to you,",
        "chatty": "hey hey,|sup,|random one:|okay,|guess what,|hey you,",
        "angry": "for real?|you lot.|I cannot believe this.|sigh.|great, just great.|enough is enough.",
    },
}

# True of any message, so they tell nothing about the intent.
DETAILS = {
    "train": """I (tried|asked) {channel} {when} and got no (answer|reply).|
I have been a customer (for years|since 2019).|I (could not find|saw nothing about) this in your help pages.|
(mail|email) is the best way to reach me.|
I have (already|also) tried {channel}.""",
    "serve": """(nobody|no one) got back to me {channel}.|I (usually|always) shop with you (and like it|).|
your (help section|FAQ) (was no use|did not help).|(best to|please) (answer|write back) here.|
(until now|so far) you were always (quick|great).""",
    "drift-train": """(typing|writing) this on (the bus|my break|the sofa).|
the chatbot (was no help|sent me here|went in circles).|
(first|second) time I use the app.|
(ping|text) me (here|any time).|
(just|only) (curious|wondering).""",
    "drift-serve": """your bot (did not get it|gave up|only loops).|on my phone, so (short|in brief).|
(love|like) the new app (by the way|otherwise).|
(reply|write) in the app (if you can|best).|
I (looked|searched) everywhere (first|already).""",
}

CLOSINGS = {
    "train": {
        "polite": "thank you.|many thanks in advance.|thanks for your help.|kind regards.|thank you very much.",
        "terse": "please reply.",
        "chatty": "thanks a lot!|have a nice day!|you are the best.|bye for now!|fingers crossed.",
        "angry": "I expect an answer today.|sort this out.|this is not acceptable.|never again.",
    },
    "serve": {
        "polite": """much appreciated.|best wishes.|thanks.|I look forward to your reply.|best regards.|
thanks for looking into it.""",
        "terse": "reply soon please.",
        "chatty": "cheers!|ta!|thanks a million.|lovely, talk soon!|hope you can help.",
        "angry": "fix it.|I want a solution now.|last warning.|what kind of service is this?",
    },
    "drift-train": {
        "polite": "thanks in advance.|thank you kindly.|thanks, have a good one.|all good wishes.|with thanks.",
        "terse": "asap please.",
        "chatty": "thx!|tysm!|cheers guys!|you rock.|appreciate it!",
        "angry": "sort it, now.|last time I use this app.|so done.|zero stars.",
    },
    "drift-serve": {
        "polite": "thanks so much.|thank you in advance.|all the best.|many thanks.|regards.",
        "terse": "quick answer please.",
        "chatty": "thanks a bunch!|thank youuu!|laters!|you are a star.|let me know!",
        "angry": "hurry up.|one star from me.|do better.|wake up.",
    },
}
