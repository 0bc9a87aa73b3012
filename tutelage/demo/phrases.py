"""What all messages share: how often each intent comes, slot values, and the frame of openings, details and closings.

Slot values are common to both splits, as the world is; openings, details and closings are not.
"""

# Share of the traffic in percent. Uneven, as on a real desk.
INTENTS = {
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
}

# Tone -> weight, probability of an opening, of a detail, of a closing.
TONES = {
    "polite": (42, 0.85, 0.15, 0.75),
    "terse": (28, 0.0, 0.05, 0.05),
    "chatty": (18, 0.8, 0.35, 0.5),
    "angry": (12, 0.6, 0.3, 0.6),
}

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
}
